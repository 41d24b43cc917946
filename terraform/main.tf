# Everything that one environment has at Google, but the state's own bucket, which is made by hand once
# (docs/production.md).

locals {
  name   = "odre-${var.environment}"
  labels = { application = "odre", environment = var.environment, managed-by = "terraform" }

  runbooks_url = "https://github.com/${var.github_repository}/blob/main/docs/runbooks"

  # What tasks are told besides where the code is.
  places = {
    GOOGLE_CLOUD_PROJECT = var.project_id
    BIGQUERY_LOCATION    = var.location
    LAKE_BUCKET          = module.lake.bucket
    MAXIMUM_BYTES_BILLED = tostring(var.maximum_bytes_billed)
    RUNBOOKS_URL         = local.runbooks_url
  }
  # Composer takes no empty value; without the variable the code takes the same default.
  prefixes = { for name, value in { LAKE_PREFIX = var.lake_prefix, DATASET_PREFIX = var.dataset_prefix } : name => value if value != "" }
}

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "this" {
  for_each = toset([
    "bigquery.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "composer.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
  ])

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

resource "google_resource_manager_lien" "project" {
  count = var.deletion_protection ? 1 : 0

  parent       = "projects/${data.google_project.this.number}"
  restrictions = ["resourcemanager.projects.delete"]
  origin       = local.name
  reason       = "It holds the lake from which every table can be made again"
}

module "lake" {
  source = "./modules/lake"

  name                = "${var.project_id}-lake"
  location            = var.location
  prefix              = var.lake_prefix
  deletion_protection = var.deletion_protection
  labels              = local.labels

  depends_on = [google_project_service.this]
}

module "warehouse" {
  source = "./modules/warehouse"

  project_id          = var.project_id
  location            = var.location
  prefix              = var.dataset_prefix
  deletion_protection = var.deletion_protection
  labels              = local.labels

  depends_on = [google_project_service.this]
}

module "iam" {
  source = "./modules/iam"

  project_id         = var.project_id
  project_number     = data.google_project.this.number
  name               = local.name
  environment        = var.environment
  lake_bucket        = module.lake.bucket
  datasets           = module.warehouse.datasets
  published_datasets = module.warehouse.published_datasets
  marts_dataset      = module.warehouse.marts_dataset
  readers            = var.readers
  secret_location    = var.region
  github_repository  = var.github_repository
  labels             = local.labels

  depends_on = [google_project_service.this]
}

module "composer" {
  source = "./modules/composer"

  project_id                = var.project_id
  region                    = var.region
  name                      = local.name
  enabled                   = var.composer_enabled
  image                     = var.composer_image
  service_account           = module.iam.pipeline
  dashboard                 = module.iam.dashboard
  deployer                  = module.iam.deployer
  web_server_allowed_ranges = var.web_server_allowed_ranges
  deletion_protection       = var.deletion_protection
  labels                    = local.labels

  environment_variables = merge(local.places, local.prefixes, var.environment_variables)

  depends_on = [google_project_service.this]
}

module "monitoring" {
  source = "./modules/monitoring"

  project_id      = var.project_id
  project_number  = data.google_project.this.number
  name            = local.name
  enabled         = var.composer_enabled
  emails          = var.alert_emails
  runbooks_url    = local.runbooks_url
  pools           = module.composer.pools
  bytes_per_day   = var.bytes_per_day
  billing_account = var.billing_account
  monthly_budget  = var.monthly_budget
  labels          = local.labels

  depends_on = [google_project_service.this]
}
