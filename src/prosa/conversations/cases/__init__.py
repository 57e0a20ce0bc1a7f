"""Cases: the assistant asks people of the business one question, keeps the customer company, and passes the answer on."""
