# The production environment. Fill in the first lines, then: make plan ENV=prod. No secret belongs into this file.
environment       = "prod"
project_id        = ""
github_repository = ""
alert_emails      = []
billing_account   = null

deletion_protection = true
monthly_budget      = 600

# GitHub's runners deploy through the API, from addresses that change. Narrow this where deployments come from known ones.
web_server_allowed_ranges = { "everywhere, IPv4" = "0.0.0.0/0", "everywhere, IPv6" = "::/0" }
