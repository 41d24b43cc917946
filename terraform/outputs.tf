output "lake_bucket" {
  description = "Bucket of the lake."
  value       = module.lake.bucket
}

output "datasets" {
  description = "The warehouse's datasets."
  value       = module.warehouse.datasets
}

output "service_accounts" {
  description = "E-mail by role."
  value = {
    pipeline  = module.iam.pipeline
    dashboard = module.iam.dashboard
    deployer  = module.iam.deployer
  }
}

output "readers" {
  description = "Who else reads, by dataset."
  value       = { for dataset, members in module.iam.readers : dataset => toset(members) }
}

output "workload_identity_provider" {
  description = "What the deploy workflow logs in with."
  value       = module.iam.workload_identity_provider
}

output "airflow_url" {
  description = "The web UI; null without an environment."
  value       = module.composer.airflow_url
}

output "next_steps" {
  description = "What to do now."
  value = var.composer_enabled ? join("\n", [
    "1. Put the code there: make deploy ENV=${var.environment} REF=<tag>",
    "2. Open ${coalesce(module.composer.airflow_url, "the web UI")} and look at the three DAGs.",
    "3. If you have an API key of the source: docs/runbooks/rotate-api-key.md. Without one it answers too.",
    "4. For deployments from GitHub, in the repository's environment \"${var.environment}\", set the variables",
    "   WORKLOAD_IDENTITY_PROVIDER=${module.iam.workload_identity_provider} and DEPLOYER=${module.iam.deployer}.",
    ]) : join("\n", [
    "There is no Composer environment; lake, warehouse and what is published are there.",
    "To bring it back: composer_enabled = true, make apply ENV=${var.environment}, then make deploy ENV=${var.environment} REF=<tag>.",
  ])
}
