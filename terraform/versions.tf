terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "6.50.0"
    }
  }

  # Bucket and prefix are given by `make plan`: one state for each environment, in the environment's own project.
  backend "gcs" {}
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels

  # Budgets and other calls of an account are counted on this project.
  user_project_override = true
  billing_project       = var.project_id
}
