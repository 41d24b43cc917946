"""The source: ODRÉ's client, conversion and contracts (pure), and the Airflow hook, operators and task group on them."""
