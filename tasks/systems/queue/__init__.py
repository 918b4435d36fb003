"""Work queues that live inside another system: a Redis list, Celery on Redis."""
