# What somebody is told of. An alert is one entry below, and has a runbook.

locals {
  environment = "resource.label.environment_name = \"${var.name}\""

  # Lines of the tasks' logs, as plugins/odre/operators.py writes them. Ten bad rows or more: the clocks' change in March
  # explains fewer, and they are seen again by each run until its lookback is over.
  logs = {
    quarantined = "[0-9]{2,} of [0-9]+ rows break the contract and are in the quarantine"
    stale       = "the source is stale: "
  }

  # metric: filter of the time series; aligner: what is made of a series within `period` seconds, and reducer of all
  # series together; crosses: the comparison that must hold for `lasts` seconds.
  alerts = {
    "dag-failed" = {
      title   = "DAG failed"
      text    = "A run of a DAG failed: no later than the next run's failure, marts are behind."
      metric  = "metric.type = \"composer.googleapis.com/workflow/run_count\" AND resource.type = \"cloud_composer_workflow\" AND ${local.environment} AND metric.label.state = \"failed\""
      aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["resource.label.workflow_name"]
      period  = 300, lasts = 0, crosses = "COMPARISON_GT", threshold = 0
      runbook = "dag-failed", severity = "ERROR"
    }
    "source-stale" = {
      title   = "source stale"
      text    = "The portal has not processed a dataset for longer than its contract's freshness_hours."
      metric  = "metric.type = \"logging.googleapis.com/user/${google_logging_metric.this["stale"].name}\" AND resource.type = \"cloud_composer_environment\""
      aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = []
      period  = 3600, lasts = 0, crosses = "COMPARISON_GT", threshold = 0
      runbook = "source-down", severity = "WARNING"
    }
    "quarantine-growing" = {
      title   = "quarantine growing"
      text    = "An extraction had ten rows or more that break the contract."
      metric  = "metric.type = \"logging.googleapis.com/user/${google_logging_metric.this["quarantined"].name}\" AND resource.type = \"cloud_composer_environment\""
      aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = []
      period  = 3600, lasts = 0, crosses = "COMPARISON_GT", threshold = 0
      runbook = "quarantine-growing", severity = "WARNING"
    }
    "bytes-over-budget" = {
      title   = "bytes over budget"
      text    = "BigQuery billed more bytes in 24 hours than bytes_per_day of Terraform's variables."
      metric  = "metric.type = \"bigquery.googleapis.com/query/statement_scanned_bytes_billed\" AND resource.type = \"bigquery_project\""
      aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = []
      period  = 86400, lasts = 0, crosses = "COMPARISON_GT", threshold = var.bytes_per_day
      runbook = "bytes-over-budget", severity = "WARNING"
    }
    "environment-unhealthy" = {
      title   = "environment unhealthy"
      text    = "Airflow's own check of itself fails: runs may not begin."
      metric  = "metric.type = \"composer.googleapis.com/environment/healthy\" AND resource.type = \"cloud_composer_environment\" AND ${local.environment}"
      aligner = "ALIGN_FRACTION_TRUE", reducer = "REDUCE_MEAN", by = []
      period  = 600, lasts = 900, crosses = "COMPARISON_LT", threshold = 0.5
      runbook = "environment-unhealthy", severity = "CRITICAL"
    }
    "pool-starved" = {
      title   = "tasks wait for a pool"
      text    = "For six hours tasks have waited for a slot of a pool that the pipeline's writers share."
      metric  = "metric.type = \"composer.googleapis.com/environment/pool/starving_tasks\" AND resource.type = \"cloud_composer_environment\" AND ${local.environment} AND metric.label.pool_name = one_of(${join(", ", [for pool in keys(var.pools) : "\"${pool}\""])})"
      aligner = "ALIGN_MIN", reducer = "REDUCE_MAX", by = ["metric.label.pool_name"]
      period  = 600, lasts = 21600, crosses = "COMPARISON_GT", threshold = 0
      runbook = "environment-unhealthy", severity = "WARNING"
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.emails)

  project      = var.project_id
  display_name = "${var.name}: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = var.labels
}

resource "google_logging_metric" "this" {
  for_each = local.logs

  project     = var.project_id
  name        = "${var.name}/${each.key}"
  description = "Tasks' lines of this form: ${each.value}"
  filter      = "resource.type = \"cloud_composer_environment\" AND resource.labels.environment_name = \"${var.name}\" AND textPayload =~ \"${each.value}\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.metric
      comparison      = each.value.crosses
      threshold_value = each.value.threshold
      duration        = "${each.value.lasts}s"

      aggregations {
        alignment_period     = "${each.value.period}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.by
      }
    }
  }

  documentation {
    subject   = "${var.name}: ${each.value.title}"
    mime_type = "text/markdown"
    content   = "${each.value.text}\n\nWhat to do: ${var.runbooks_url}/${each.value.runbook}.md"

    links {
      display_name = "Runbook"
      url          = "${var.runbooks_url}/${each.value.runbook}.md"
    }
  }
}

# The account's administrators and the addresses above hear at half, at nine tenths, at all of it, and when the month is
# forecast to end above.
resource "google_billing_budget" "this" {
  count = var.billing_account == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = var.name

  budget_filter {
    projects               = ["projects/${var.project_number}"]
    credit_types_treatment = "EXCLUDE_ALL_CREDITS"
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    # A budget takes five channels at most.
    monitoring_notification_channels = slice([for channel in google_monitoring_notification_channel.email : channel.id], 0, min(5, length(var.emails)))
  }
}
