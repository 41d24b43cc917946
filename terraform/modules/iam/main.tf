# Who may do what: an account for each role, without keys. Grants are on the bucket, the datasets and the secrets; of the
# project's own roles an account gets those alone that cannot be granted on less.

locals {
  accounts = {
    pipeline  = "Runs the DAGs"
    dashboard = "Reads marts and ledger, and nothing else"
    deployer  = "Puts code into the Composer environment"
  }

  project_roles = {
    pipeline = [
      "roles/bigquery.jobUser",
      # Whose jobs read how many bytes (INFORMATION_SCHEMA.JOBS).
      "roles/bigquery.resourceViewer",
      # Composer asks for it on the environment's account.
      "roles/composer.worker",
    ]
    dashboard = ["roles/bigquery.jobUser"]
    # Where the environment and its API are, and that API.
    deployer = ["roles/composer.user"]
  }

  # Airflow's connections that hold a secret, as its Secret Manager backend looks them up.
  connections = ["odre_default", "slack_default"]
  # Their names begin so, and no other secret's.
  connection_prefix = "airflow-connections-"

  github = "repo:${var.github_repository}:environment:${var.environment}"
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = each.value
}

resource "google_project_iam_member" "this" {
  for_each = merge([
    for account, roles in local.project_roles : { for role in roles : "${account} ${role}" => { account = account, role = role } }
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.this[each.value.account].member
}

# Reads, writes and overwrites: another try of an upload writes the same object again. The bucket keeps the versions.
resource "google_storage_bucket_iam_member" "pipeline" {
  bucket = var.lake_bucket
  role   = "roles/storage.objectUser"
  member = google_service_account.this["pipeline"].member
}

resource "google_bigquery_dataset_iam_member" "pipeline" {
  for_each = toset(var.datasets)

  project    = var.project_id
  dataset_id = each.value
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.this["pipeline"].member
}

resource "google_bigquery_dataset_iam_member" "dashboard" {
  for_each = toset(var.published_datasets)

  project    = var.project_id
  dataset_id = each.value
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.this["dashboard"].member
}

# Who reads the marts with an account of their own: they alone. Queries run in, and are billed to, the reader's own project.
resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = toset(var.readers)

  project    = var.project_id
  dataset_id = var.marts_dataset
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

# The page in Airflow reads as the dashboard's account, not as the pipeline's (docs/dashboard.md).
resource "google_service_account_iam_member" "page" {
  service_account_id = google_service_account.this["dashboard"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.this["pipeline"].member
}

# Empty until somebody adds a version (docs/runbooks/rotate-api-key.md): no secret is in Terraform's state.
resource "google_secret_manager_secret" "connection" {
  for_each = toset(local.connections)

  project   = var.project_id
  secret_id = "${local.connection_prefix}${each.value}"
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.secret_location
      }
    }
  }
}

# Airflow asks Secret Manager for every connection before it looks elsewhere. A grant on the secrets themselves would have
# Google refuse all other names, an error in each task's log; with one on their prefix they are just not found.
resource "google_project_iam_member" "connections" {
  project = var.project_id
  role    = "roles/secretmanager.secretAccessor"
  member  = google_service_account.this["pipeline"].member

  condition {
    title      = "Airflow's connections"
    expression = "resource.name.startsWith(\"projects/${var.project_number}/secrets/${local.connection_prefix}\")"
  }
}

# A job of the repository's GitHub environment of this name becomes the deployer, and no other job.
resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.name}-github"
  display_name              = "GitHub Actions"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:The condition is the whole subject, repository and environment; the check does not see through its variables, which refuse wildcards
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.sub == '${local.github}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "deployer" {
  service_account_id = google_service_account.this["deployer"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/subject/${local.github}"
}
