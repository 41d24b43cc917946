"""The source ODRÉ: contracts, client and conversion (pure); Airflow hooks, operators and task groups on them."""
