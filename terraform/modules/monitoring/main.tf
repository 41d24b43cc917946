# What somebody is told of. An alert is one entry below, and has a runbook.

locals {
  environment = "resource.label.environment_name = \"${var.name}\""

  # Lines of the tasks' logs, as plugins/odre writes them. Ten bad rows or more: the clocks' change in March explains
  # fewer, and they are seen again by each run until its lookback is over.
  logs = {
    quarantined = "[0-9]{2,} of [0-9]+ rows break the contract and are in the quarantine"
    stale       = "the source is stale: "
    late        = " is late: (it was never loaded|its last success was)"
  }

  # Successful runs of eco2mix_hourly within an hour. Where no run ever succeeded there is no series, and neither a
  # threshold nor an absence condition would fire: the zero is ours. A workflow's name begins with its environment's.
  successes = "sum(increase(composer_googleapis_com:workflow_run_count{monitored_resource=\"cloud_composer_workflow\", state=\"success\", workflow_name=~\"(.*[.])?eco2mix_hourly\"}[1h])) or vector(0)"

  # An alert looks at a metric, at a log or at a query. metric: filter of the time series; aligner: what is made of a
  # series within `period` seconds, and reducer of all series together; crosses: the comparison that must hold for `lasts`
  # seconds. log: a line that fires by itself, so that no metric of logs must be known first. query: PromQL that gives a
  # row for `lasts` seconds.
  alerts = {
    "dag-failed" = {
      title = "DAG failed"
      text  = "A run of a DAG failed: no later than the next run's failure, marts are behind."
      # Its resource has no label of the environment; the project has one environment.
      metric  = "metric.type = \"composer.googleapis.com/workflow/run_count\" AND resource.type = \"cloud_composer_workflow\" AND metric.label.state = \"failed\""
      aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", by = ["resource.label.workflow_name"]
      period  = 300, lasts = 0, crosses = "COMPARISON_GT", threshold = 0
      runbook = "dag-failed", severity = "ERROR"
    }
    "no-success" = {
      title   = "no success"
      text    = "No run of eco2mix_hourly has succeeded for three hours, or none ever did: nothing watches the other DAGs either."
      query   = "(${local.successes}) < 0.5"
      lasts   = 7200
      runbook = "no-success", severity = "ERROR"
    }
    "dag-late" = {
      title   = "DAG late"
      text    = "A DAG has not succeeded in time, or a dataset was never loaded; the next run of any DAG says so."
      log     = local.logs.late
      runbook = "dag-failed", severity = "WARNING"
    }
    "source-stale" = {
      title   = "source stale"
      text    = "The portal has not processed a dataset for longer than its contract's freshness_hours."
      log     = local.logs.stale
      runbook = "source-down", severity = "WARNING"
    }
    "quarantine-growing" = {
      title   = "quarantine growing"
      text    = "An extraction had ten rows or more that break the contract."
      log     = local.logs.quarantined
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

resource "google_monitoring_alert_policy" "this" {
  # Without an environment nothing succeeds, and that is no alert.
  for_each = { for name, alert in local.alerts : name => alert if var.enabled || name != "no-success" }

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    dynamic "condition_threshold" {
      for_each = can(each.value.metric) ? [each.value] : []

      content {
        filter          = condition_threshold.value.metric
        comparison      = condition_threshold.value.crosses
        threshold_value = condition_threshold.value.threshold
        duration        = "${condition_threshold.value.lasts}s"

        aggregations {
          alignment_period     = "${condition_threshold.value.period}s"
          per_series_aligner   = condition_threshold.value.aligner
          cross_series_reducer = condition_threshold.value.reducer
          group_by_fields      = condition_threshold.value.by
        }
      }
    }

    dynamic "condition_matched_log" {
      for_each = can(each.value.log) ? [each.value.log] : []

      content {
        filter = "resource.type = \"cloud_composer_environment\" AND resource.labels.environment_name = \"${var.name}\" AND textPayload =~ \"${condition_matched_log.value}\""
      }
    }

    dynamic "condition_prometheus_query_language" {
      for_each = can(each.value.query) ? [each.value] : []

      content {
        query               = condition_prometheus_query_language.value.query
        duration            = "${condition_prometheus_query_language.value.lasts}s"
        evaluation_interval = "60s"
        # The metric is not known before the first run.
        disable_metric_validation = true
      }
    }
  }

  # A log's alert asks for it: one e-mail in six hours, however often the line comes.
  dynamic "alert_strategy" {
    for_each = can(each.value.log) ? [6 * 3600] : []

    content {
      auto_close = "${alert_strategy.value}s"

      notification_rate_limit {
        period = "${alert_strategy.value}s"
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
