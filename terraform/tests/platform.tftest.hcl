# What the configuration makes of its variables, without an account: terraform test.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  environment               = "dev"
  project_id                = "odre-test"
  github_repository         = "owner/odre"
  alert_emails              = ["somebody@example.com"]
  billing_account           = "012345-6789AB-CDEF01"
  deletion_protection       = false
  web_server_allowed_ranges = { office = "192.0.2.0/24" }
}

run "all_of_it" {
  assert {
    condition     = output.lake_bucket == "odre-test-lake" && length(output.datasets) == 5
    error_message = "The lake or a dataset is absent."
  }

  assert {
    condition     = output.airflow_url != null && strcontains(output.next_steps, "make deploy ENV=dev")
    error_message = "The environment is absent, or nobody is told how to deploy to it."
  }

  assert {
    condition     = toset(keys(module.monitoring.alerts)) == toset(["dag-failed", "no-success", "dag-late", "source-stale", "quarantine-growing", "bytes-over-budget", "environment-unhealthy", "pool-starved"])
    error_message = "An alert is absent."
  }

  assert {
    condition     = alltrue([for url in values(module.monitoring.alerts) : can(regex("^https://github.com/owner/odre/blob/main/docs/runbooks/[a-z-]+[.]md$", url))])
    error_message = "An alert has no runbook."
  }

  assert {
    condition     = length(google_resource_manager_lien.project) == 0
    error_message = "A project that may be removed is protected."
  }
}

run "composer_is_removed_alone" {
  variables {
    composer_enabled = false
  }

  assert {
    condition     = output.airflow_url == null && output.lake_bucket == run.all_of_it.lake_bucket && output.datasets == run.all_of_it.datasets
    error_message = "The environment is still there, or the lake or the warehouse is not."
  }

  assert {
    condition     = output.service_accounts == run.all_of_it.service_accounts && module.composer.code_bucket == "odre-test-composer"
    error_message = "An account was made anew, or the code is gone."
  }

  assert {
    condition     = !contains(keys(module.monitoring.alerts), "no-success") && contains(keys(module.monitoring.alerts), "bytes-over-budget")
    error_message = "An environment that is not there is expected to succeed, or the rest is not watched."
  }

  assert {
    condition     = strcontains(output.next_steps, "composer_enabled = true")
    error_message = "Nobody is told how to bring it back."
  }
}

run "composer_comes_back" {
  assert {
    condition     = output.airflow_url != null && output.service_accounts == run.all_of_it.service_accounts
    error_message = "The environment did not come back as it was."
  }
}

run "production_is_protected" {
  command = plan

  variables {
    environment         = "prod"
    deletion_protection = true
  }

  assert {
    condition     = length(google_resource_manager_lien.project) == 1
    error_message = "The project can be removed."
  }
}

run "a_set_of_ones_own" {
  command = plan

  variables {
    dataset_prefix  = "me_"
    lake_prefix     = "me/"
    billing_account = null
    readers         = ["group:analysts@example.com", "domain:example.com"]
  }

  assert {
    condition     = output.readers == { "me_energy" = toset(["group:analysts@example.com", "domain:example.com"]) }
    error_message = "Readers do not read the marts, or read more."
  }

  assert {
    condition     = toset(output.datasets) == toset(["me_odre_load", "me_odre_raw", "me_energy_ops", "me_energy_staging", "me_energy"])
    error_message = "A dataset is without its prefix."
  }
}

run "an_environment_of_another_name" {
  command = plan
  variables {
    environment = "staging"
  }
  expect_failures = [var.environment]
}

run "the_file_is_not_filled_in" {
  command = plan
  variables {
    project_id        = ""
    github_repository = ""
    alert_emails      = []
  }
  expect_failures = [var.project_id, var.github_repository, var.alert_emails]
}

run "names_that_are_none" {
  command = plan
  variables {
    region                = "Europe"
    location              = "europe"
    billing_account       = "mine"
    dataset_prefix        = "me"
    lake_prefix           = "me"
    environment_variables = { AIRFLOW__CORE__PARALLELISM = "4" }
    readers               = ["everybody"]
  }
  expect_failures = [var.region, var.location, var.billing_account, var.dataset_prefix, var.lake_prefix, var.environment_variables, var.readers]
}

run "amounts_that_are_none" {
  command = plan
  variables {
    monthly_budget       = 0.5
    bytes_per_day        = 1000
    maximum_bytes_billed = 2000
  }
  expect_failures = [var.monthly_budget, var.maximum_bytes_billed]
}

run "an_image_that_changes_by_itself" {
  command = plan
  variables {
    composer_image            = "composer-3-airflow-3.3.1"
    web_server_allowed_ranges = {}
  }
  expect_failures = [var.composer_image, var.web_server_allowed_ranges]
}
