"""Where stages run: one small adapter per cloud behind ``base.Cloud``, found by entry point."""
