"""The API's description: OpenAPI 3.1, and pages for people, made from the forms and the code that serve it."""
