"""fastgw: an API gateway and service-mesh data plane with a compiled engine."""

__version__ = "0.1.0"
