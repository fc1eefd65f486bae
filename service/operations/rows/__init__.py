"""What verbs share that read and write rows of VMs and volumes."""
