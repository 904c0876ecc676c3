"""Configuration: documents (YAML or JSON) to typed, checked values. Imports nothing else of fastgw but its errors."""
