"""What has happened: editions, runs, and which file had which content. The only door to SQLAlchemy."""
