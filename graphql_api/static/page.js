// Starts GraphiQL with a tab for each thing one does first. The sample event is made anew at every load, so that it is
// accepted (an event must not be older than 30 days) and counted (an id counts once).
const now = new Date().toISOString();

const TRACK_EVENTS = `# Write an event. Copy the receipt into the next tab's variables to read your own write.
mutation Track($input: TrackEventsInput!) {
  trackEvents(input: $input) {
    acceptedCount
    rejected { index eventId code message path }
    retry { index eventId reason }
    receipt
    traceId
  }
}
`;

const USER_FEATURES = `# A user's features, derived at this moment.
query Features($id: ID!, $after: String) {
  user(id: $id, after: $after) {
    fresh
    features {
      viewCount1h { value coveredFrom }
      recentItems { value }
      lastSeenAt { value }
    }
    featureValues { name value window asOf }
  }
}
`;

const TIMELINE = `# What the user did, newest first. Pass endCursor as after for the next page.
query Timeline($id: ID!, $after: String) {
  user(id: $id) {
    timeline(first: 20, after: $after) {
      edges { node { type eventTime itemId value properties } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`;

const WATCH = `# The values, and then each change: run the first tab again meanwhile. Pass a token as after to go on behind it.
subscription Watch($id: ID!, $after: String) {
  featuresChanged(userId: $id, after: $after, names: ["viewCount1h", "recentItems", "lastSeenAt"]) {
    token
    asOf
    featureValues { name value }
  }
}
`;

const event = {
  eventId: crypto.randomUUID ? crypto.randomUUID() : "0190a5c0-0000-7000-8000-000000000001",
  type: "view_item",
  userId: "demo-user",
  occurredAt: now,
  itemId: "sku-1",
};

const tab = (query, variables) => ({ query, variables: JSON.stringify(variables, null, 2) });
const tabs = [
  tab(TRACK_EVENTS, { input: { events: [event], sentAt: now } }),
  tab(USER_FEATURES, { id: "demo-user", after: null }),
  tab(TIMELINE, { id: "demo-user", after: null }),
  tab(WATCH, { id: "demo-user", after: "" }),
];

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({
      url: "/graphql",
      subscriptionUrl: new URL("/graphql", location.href).href.replace(/^http/, "ws"),
    }),
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    defaultEditorToolsVisibility: true,
    defaultTabs: tabs,
    variables: tabs[0].variables, // GraphiQL leaves those of the tab that it opens first away
  }),
);
