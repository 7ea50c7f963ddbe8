// The page is served at the address of GraphQL itself.
const address = location.host + location.pathname;
const fetcher = GraphiQL.createFetcher({
  url: location.protocol + "//" + address,
  subscriptionUrl: (location.protocol === "https:" ? "wss://" : "ws://") + address,
});
ReactDOM.createRoot(document.getElementById("graphiql")).render(React.createElement(GraphiQL, { fetcher }));
