output "pipeline" {
  description = "E-mail of the account that runs the DAGs, once it may do all that it needs."
  value       = google_service_account.this["pipeline"].email

  depends_on = [google_project_iam_member.this]
}

output "dashboard" {
  description = "E-mail of the account that reads the marts."
  value       = google_service_account.this["dashboard"].email
}

output "deployer" {
  description = "E-mail of the account that deploys."
  value       = google_service_account.this["deployer"].email
}

output "workload_identity_provider" {
  description = "Name of the provider that GitHub's jobs log in with."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "readers" {
  description = "Members by the dataset that they may read."
  value       = { for grant in google_bigquery_dataset_iam_member.reader : grant.dataset_id => grant.member... }
}
