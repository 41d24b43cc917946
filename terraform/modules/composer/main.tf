# Cloud Composer 3: small, private, and removable by itself.

locals {
  # As POOLS of plugins/odre/settings.py has them, which a deployment sets in Airflow.
  pools = { warehouse = 1, dbt = 4 }

  # What a task costs by itself. Its process imports Airflow, the operators and Cosmos, and reads its DAG file: 6.4 to 8.4
  # seconds of processor, the more the busier the machine, and 0.30 GB (measured for each DAG, in a fresh process). With the
  # dbt project read it holds 0.36 GB; one that converts an export 0.1 GB more than its start.
  start_seconds = 8.4
  start_gb      = 0.3
  task_gb       = 0.5

  # From that follow: four starts at once on one processor take 34 s, past Airflow's own bound of 30 s on reading a file.
  # Composer takes at most 600 s for either bound, and for the import no less than for the whole (Google: "Airflow
  # configurations"); a file that one reading did not finish is stale only after three.
  worker_concurrency = 4
  max_workers        = 2
  parsing_processes  = 2
  import_timeout     = 600
  processor_timeout  = 600
  stale_after        = 1800

  # Google's bounds: 1 to 8 GB for each processor; a scheduler and a triggerer have at most one, a web server at least one
  # and 3 GB. Memory holds the processes that run at once (tests/terraform), and as much again for what starts them.
  workloads = {
    scheduler     = { cpu = 0.5, memory_gb = 2 }
    dag_processor = { cpu = 1, memory_gb = 2 }
    triggerer     = { cpu = 0.5, memory_gb = 2 }
    web_server    = { cpu = 1, memory_gb = 4 }
    worker        = { cpu = 1, memory_gb = 4 }
  }

  # No folder is named: components differ in what they have, and the code finds it (plugins/odre/settings.py).
  environment_variables = {
    # Where the secret of this name has no version: the portal answers without a key too.
    AIRFLOW_CONN_ODRE_DEFAULT         = jsonencode({ conn_type = "http", host = "https://odre.opendatasoft.com" })
    AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT = jsonencode({ conn_type = "google_cloud_platform", extra = { project = var.project_id } })
    DASHBOARD_CONN_ID                 = "dashboard"
    AIRFLOW_CONN_DASHBOARD            = jsonencode({ conn_type = "google_cloud_platform", extra = { project = var.project_id, impersonation_chain = var.dashboard } })
    DBT_SEND_ANONYMOUS_USAGE_STATS    = "False"
    DO_NOT_TRACK                      = "1"
  }

  airflow_settings = {
    "secrets-backend" = "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend"
    "secrets-backend_kwargs" = jsonencode({
      project_id         = var.project_id
      connections_prefix = "airflow-connections"
      # Nothing but connections is looked up there.
      variables_prefix = null
      config_prefix    = null
      sep              = "-"
    })
    # No more tasks at once than there are places, so that none waits in a worker's queue until it is given up.
    "core-parallelism"                         = tostring(local.worker_concurrency * local.max_workers)
    "celery-worker_concurrency"                = tostring(local.worker_concurrency)
    "core-dagbag_import_timeout"               = tostring(local.import_timeout)
    "dag_processor-dag_file_processor_timeout" = tostring(local.processor_timeout)
    "dag_processor-parsing_processes"          = tostring(local.parsing_processes)
    "dag_processor-stale_dag_threshold"        = tostring(local.stale_after)
    # What is slow is not dead: four starts hold up a heartbeat or an answer of the API for half a minute.
    "scheduler-task_instance_heartbeat_timeout"  = "180"
    "scheduler-scheduler_health_check_threshold" = "120"
    "dag_processor-health_check_threshold"       = "120"
    "triggerer-triggerer_health_check_threshold" = "120"
    "triggerer-runner_health_check_threshold"    = "120"
    "workers-execution_api_timeout"              = "60"
    # Cosmos as local/airflow.env has it.
    "cosmos-enable_telemetry"              = "False"
    "cosmos-enable_watcher_reliable_retry" = "False"
  }

  # The list that the image of docker-compose.yaml installs too, less what Composer's image brings in the same versions
  # (requirements/composer-image.in). A pin is a line that begins: name==version ; python_full_version < '3.13' and …;
  # where a version counts for 3.12 alone, it says == '3.12.*'.
  requirements = "${path.module}/../../../requirements"
  pin          = "(?m)^([a-z0-9._-]+)==([^ ;]+) ; python_full_version < '3[.]1[23]'"
  brought      = [for pin in regexall("(?m)^([a-z0-9._-]+)==", file("${local.requirements}/composer-image.txt")) : pin[0]]
  pypi_packages = {
    for pin in regexall(local.pin, file("${local.requirements}/airflow.txt")) : pin[0] => "==${pin[1]}"
    if !contains(local.brought, pin[0])
  }
}

# The way out to the source. The environment's own parts have no address on the internet.
resource "google_compute_network" "this" {
  #checkov:skip=CKV2_GCP_18:A network without rules lets nothing in, and out to the source is what it is for
  count = var.enabled ? 1 : 0

  project                 = var.project_id
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  #checkov:skip=CKV_GCP_26:One program calls one public address through this network; logs of flows would cost more than they tell
  #checkov:skip=CKV_GCP_76:IPv4 alone is used
  count = var.enabled ? 1 : 0

  project                  = var.project_id
  name                     = var.name
  region                   = var.region
  network                  = google_compute_network.this[0].id
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true
}

resource "google_compute_router" "this" {
  count = var.enabled ? 1 : 0

  project = var.project_id
  name    = var.name
  region  = var.region
  network = google_compute_network.this[0].id
}

resource "google_compute_router_nat" "this" {
  count = var.enabled ? 1 : 0

  project                            = var.project_id
  name                               = var.name
  region                             = var.region
  router                             = google_compute_router.this[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.this[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# The code. A bucket of our own: Composer's would be left behind, and another made each time.
resource "google_storage_bucket" "code" {
  #checkov:skip=CKV_GCP_62:Who changed the code is in Git; a bucket of access logs would say less
  project                     = var.project_id
  name                        = "${var.project_id}-composer"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection
  labels                      = var.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      num_newer_versions         = 3
      days_since_noncurrent_time = 30
    }

    action {
      type = "Delete"
    }
  }
}

resource "google_storage_bucket_iam_member" "deployer" {
  bucket = google_storage_bucket.code.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${var.deployer}"
}

resource "google_composer_environment" "this" {
  count = var.enabled ? 1 : 0

  project = var.project_id
  name    = var.name
  region  = var.region
  labels  = var.labels

  storage_config {
    bucket = google_storage_bucket.code.name
  }

  config {
    environment_size           = "ENVIRONMENT_SIZE_SMALL"
    resilience_mode            = "STANDARD_RESILIENCE"
    enable_private_environment = true
    # Packages come from PyPI as they are built into the environment's image, once for each change of the list.
    enable_private_builds_only = false

    software_config {
      image_version            = var.image
      pypi_packages            = local.pypi_packages
      env_variables            = merge(local.environment_variables, var.environment_variables)
      airflow_config_overrides = local.airflow_settings
      web_server_plugins_mode  = "ENABLED"
    }

    node_config {
      network         = google_compute_network.this[0].id
      subnetwork      = google_compute_subnetwork.this[0].id
      service_account = var.service_account
    }

    workloads_config {
      scheduler {
        cpu        = local.workloads.scheduler.cpu
        memory_gb  = local.workloads.scheduler.memory_gb
        storage_gb = 1
        count      = 1
      }

      dag_processor {
        cpu        = local.workloads.dag_processor.cpu
        memory_gb  = local.workloads.dag_processor.memory_gb
        storage_gb = 1
        count      = 1
      }

      triggerer {
        cpu       = local.workloads.triggerer.cpu
        memory_gb = local.workloads.triggerer.memory_gb
        count     = 1
      }

      web_server {
        cpu        = local.workloads.web_server.cpu
        memory_gb  = local.workloads.web_server.memory_gb
        storage_gb = 1
      }

      worker {
        cpu        = local.workloads.worker.cpu
        memory_gb  = local.workloads.worker.memory_gb
        storage_gb = 10
        min_count  = 1
        max_count  = local.max_workers
      }
    }

    # Twelve hours a week, as Composer asks for, at the hours in which the source is away too.
    maintenance_window {
      start_time = "2026-01-02T00:00:00Z"
      end_time   = "2026-01-02T04:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=FR,SA,SU"
    }

    data_retention_config {
      airflow_metadata_retention_config {
        retention_mode = "RETENTION_MODE_ENABLED"
        retention_days = 90
      }
    }

    web_server_network_access_control {
      dynamic "allowed_ip_range" {
        for_each = var.web_server_allowed_ranges

        content {
          description = allowed_ip_range.key
          value       = allowed_ip_range.value
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = sum(values(local.pools)) <= local.worker_concurrency * local.max_workers
      error_message = "The pools have more slots than all workers together: give workers more of them, or a higher concurrency."
    }
  }

  depends_on = [google_compute_router_nat.this]
}
