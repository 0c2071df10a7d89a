"""Names of the configuration of SkyPilot's server that one task cannot set."""

from __future__ import annotations

TOP = frozenset(
    {
        "workspace",
        "db",
        "jobs",
        "serve",
        "allowed_clouds",
        "admin_policy",
        "api_server",
        "workspaces",
        "workspace_config",
        "provision",
        "rbac",
        "logs",
        "daemons",
        "data",
        "dashboard",
        "metrics",
        "plugins",
        "aws",
        "oci",
        "nebius",
        "lambda",
        "runpod",
        "fluidstack",
        "paperspace",
        "do",
        "cudo",
        "ibm",
        "scp",
        "vsphere",
    }
)
"""At the top."""
KUBERNETES = frozenset(
    {
        "allowed_contexts",
        "context_configs",
        "allowed_nodes",
        "rdma",
        "networking",
        "ports",
        "namespace",
        "autoscaler",
        "high_availability",
        "post_provision_runcmd",
        "apt_mirrors",
        "pricing",
        "auto_mounts",
        "max_inline_command_length",
    }
)
"""Below ``kubernetes``."""
SLURM = frozenset(
    {
        "allowed_clusters",
        "provision_timeout",
        "submit_as_user",
        "username_map",
        "pricing",
        "gpu_partition_map",
        "container_mounts",
        "prometheus",
        "cluster_configs",
    }
)
"""Below ``slurm``."""
