"""VNC and serial consoles and screenshots of VMs."""
