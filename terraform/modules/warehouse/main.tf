# The datasets. Their tables are the pipeline's own: it makes them from the contracts.

locals {
  # As plugins/odre/settings.py names them.
  datasets = {
    odre_load      = "Tables of one run each, until its merge"
    odre_raw       = "The source's rows, typed, under their French names"
    energy_ops     = "Ledger, quarantine, builds"
    energy_staging = "dbt's staging and intermediate models, and seeds"
    energy         = "Marts: what people read"
  }

  # Marts, and from the ledger how fresh they are.
  published = ["energy_ops", "energy"]

  # What a run that died leaves in odre_load goes by itself after a day.
  table_expiration_ms = { odre_load = 24 * 60 * 60 * 1000 }
}

resource "google_bigquery_dataset" "this" {
  #checkov:skip=CKV_GCP_81:The data are public; Google's own keys encrypt them, and a key of our own could only lock us out
  for_each = local.datasets

  project                     = var.project_id
  dataset_id                  = "${var.prefix}${each.key}"
  description                 = each.value
  location                    = var.location
  default_table_expiration_ms = lookup(local.table_expiration_ms, each.key, null)
  delete_contents_on_destroy  = !var.deletion_protection
  labels                      = var.labels
}
