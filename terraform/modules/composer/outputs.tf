output "airflow_url" {
  description = "The web UI; null without an environment."
  value       = one(google_composer_environment.this[*].config[0].airflow_uri)
}

output "code_bucket" {
  description = "Bucket of the code."
  value       = google_storage_bucket.code.name
}

output "pools" {
  description = "Slots by pool."
  value       = local.pools
}
