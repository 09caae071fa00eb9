variable "name" {
  description = "What the name of a stack is in the template: the beginning of all names, and the namespace of the metrics."
  type        = string
  default     = "tidemark"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,19}$", var.name))
    error_message = "The value must be at most 20 letters, digits and hyphens, and begin with a letter."
  }
}

variable "packages" {
  description = "Folder with the packages that `make build` writes. Without it, target/lambda of the tree that this module is in."
  type        = string
  default     = null
}

locals {
  packages = coalesce(var.packages, "${path.module}/../../target/lambda")
}
