output "alerts" {
  description = "Address of the runbook, by alert."
  value       = { for name, alert in google_monitoring_alert_policy.this : name => alert.documentation[0].links[0].url }
}
