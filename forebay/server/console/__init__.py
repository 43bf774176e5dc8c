"""The console: pages for those who plan and those who look after the data, of the same documents that the API gives."""
