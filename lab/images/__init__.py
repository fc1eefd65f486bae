"""The lab's two guest images: a small one that boots in seconds, and a real Debian built on demand."""
