"""A Kubernetes API server for tests, with nodes, a scheduler, kubelets and real processes."""
