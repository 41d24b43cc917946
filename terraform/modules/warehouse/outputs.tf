output "datasets" {
  description = "Ids of all datasets."
  value       = [for dataset in google_bigquery_dataset.this : dataset.dataset_id]
}

output "published_datasets" {
  description = "Ids of the datasets that the dashboard reads."
  value       = [for name in local.published : google_bigquery_dataset.this[name].dataset_id]
}
