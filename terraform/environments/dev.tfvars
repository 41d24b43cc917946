# The development environment. Fill in the first lines, then: make plan ENV=dev. No secret belongs into this file.
environment       = "dev"
project_id        = ""
github_repository = ""
alert_emails      = []
billing_account   = null

# For trying things out: everything can be removed again.
deletion_protection = false
monthly_budget      = 500

web_server_allowed_ranges = { "everywhere, IPv4" = "0.0.0.0/0", "everywhere, IPv6" = "::/0" }
