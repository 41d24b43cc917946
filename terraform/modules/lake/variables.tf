variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string
}

variable "location" {
  description = "Where it is."
  type        = string
}

variable "prefix" {
  description = "Goes before every object's name."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to remove the bucket while it holds objects."
  type        = bool
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
