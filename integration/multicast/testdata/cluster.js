// Two workers of a cluster bind one port, and each joins the group. Then their parent joins
// with a socket that it has not bound.
'use strict'
const cluster = require('node:cluster')
const dgram = require('node:dgram')

if (cluster.isPrimary) {
  const fork = (next) => cluster.fork().on('message', (said) => {
    console.log(said)
    next()
  })
  fork(() => fork(() => {
    const socket = dgram.createSocket('udp4')
    socket.addMembership('230.185.192.108', '127.0.0.1')
    console.log(socket.address().address, socket.address().port)
    process.exit()
  }))
} else {
  const socket = dgram.createSocket('udp4') // without reuseAddr: the workers share what the first has bound
  socket.bind(8080, () => {
    try {
      socket.addMembership('230.185.192.108', '127.0.0.1')
      process.send('joined')
    } catch (err) {
      process.send(err.code)
    }
  })
}
