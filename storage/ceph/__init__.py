"""Ceph RBD behind the storage contract; only this package imports rados and rbd."""
