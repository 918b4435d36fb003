// The least that Watchkeeper's user needs on MongoDB to take every measurement. Run it in mongosh as an administrator.
db.getSiblingDB("admin").createUser({
  user: "watchkeeper",
  pwd: passwordPrompt(),
  roles: [
    "clusterMonitor",
    // Only for the oplog's window.
    { role: "read", db: "local" },
  ],
});
