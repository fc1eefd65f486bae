"""Facts of a host, each written once: values, their units and help texts, and the codec that stores them. Pure."""
