# What Watchkeeper's user of the management API needs: to be let in, and to see; it reads and writes no message.
rabbitmqctl add_user watchkeeper             # asks for the password
rabbitmqctl set_user_tags watchkeeper monitoring
rabbitmqctl set_permissions --vhost / watchkeeper '^$' '^$' '^$'
