# Whatever was received from the source, for good: every table can be made again from it.

locals {
  days_until_rarely_read = 90
  days_of_second_thought = 90
}

resource "google_storage_bucket" "lake" {
  #checkov:skip=CKV_GCP_62:Reads and writes are in Cloud Audit Logs, once data access logs are switched on for the project; a bucket of access logs would be written for each object a second time

  name                        = var.name
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection
  labels                      = var.labels

  # No object is deleted by a rule. What somebody deletes or overwrites is kept: as a version, and after that for a while.
  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = local.days_of_second_thought * 24 * 60 * 60
  }

  lifecycle_rule {
    condition {
      age                   = local.days_until_rarely_read
      matches_prefix        = ["${var.prefix}raw/"]
      matches_storage_class = ["STANDARD"]
      with_state            = "ANY"
    }

    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
  }

  # The dashboard's file is written anew each hour. The lake's own objects are written once.
  lifecycle_rule {
    condition {
      num_newer_versions = 3
      matches_prefix     = ["${var.prefix}dashboard/"]
    }

    action {
      type = "Delete"
    }
  }
}
