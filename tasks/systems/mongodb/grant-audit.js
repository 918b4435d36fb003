// What the checklist needs besides grant.js: to see the users and their roles. Run it in mongosh as an administrator.
db.getSiblingDB("admin").createRole({
  role: "watchkeeperAudit",
  privileges: [{ resource: { db: "", collection: "" }, actions: ["viewUser"] }],
  roles: [],
});
db.getSiblingDB("admin").grantRolesToUser("watchkeeper", [{ role: "watchkeeperAudit", db: "admin" }]);
