"""One Prefect task per step of an attempt. A task takes names; the rest comes by ``ATTEMPT``."""
