output "datasets" {
  description = "Ids of all datasets."
  value       = [for dataset in google_bigquery_dataset.this : dataset.dataset_id]
}

output "published_datasets" {
  description = "Ids of the datasets that the dashboard reads."
  value       = [for name in local.published : google_bigquery_dataset.this[name].dataset_id]
}

output "marts_dataset" {
  description = "Id of the dataset of marts."
  value       = google_bigquery_dataset.this["energy"].dataset_id
}
