// The least that a backup needs on MongoDB: the built-in role of mongodump's own. Run it in mongosh as an administrator.
db.getSiblingDB("admin").createUser({ user: "watchkeeper-backup", pwd: passwordPrompt(), roles: ["backup"] });
