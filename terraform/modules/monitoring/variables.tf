variable "project_id" {
  description = "Project that is watched."
  type        = string
}

variable "project_number" {
  description = "Its number, as the budget asks for it."
  type        = string
}

variable "name" {
  description = "Name of the Composer environment, and beginning of the alerts' names."
  type        = string
}

variable "enabled" {
  description = "Whether the environment is there."
  type        = bool
}

variable "emails" {
  description = "Who is told."
  type        = list(string)
}

variable "runbooks_url" {
  description = "Address of the folder of runbooks."
  type        = string
}

variable "pools" {
  description = "Slots by pool of Airflow."
  type        = map(number)
}

variable "bytes_per_day" {
  description = "Bytes that BigQuery may bill in 24 hours."
  type        = number
}

variable "billing_account" {
  description = "Account that the budget watches; null: no budget."
  type        = string
}

variable "monthly_budget" {
  description = "What a month may cost, in the account's currency."
  type        = number
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
