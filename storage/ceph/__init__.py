"""Ceph RBD behind the storage contract. The only package that imports rados and rbd (Debian's own bindings)."""
