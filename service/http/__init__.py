"""HTTP on sockets: gunicorn as this service needs it. What is asked and answered is none of its business."""
