window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // Without it the page would send the document to a validator elsewhere.
  validatorUrl: null,
});
