// Client prints the datagrams that are broadcast to a port. Any number of clients
// on one machine receive each of them.
//
//	node broadcast/client/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.255.255.255:8080' }
} }).values
const [host, port] = addr.split(':')

if (/^(22[4-9]|23\d)\./.test(host)) { // Node would bind it, and join nothing
  console.error(`client: bind ${addr}: a multicast group has to be joined, see multicast:client`)
  process.exit(1)
}

//weave:receive
// reuseAddr lets several programs have the port: each of them has to say it before
// bind. Bound to the broadcast address, a socket gets what is sent to that address
// and nothing else; bound to no address, whatever is sent to the port.
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
socket.on('message', (message, rinfo) => {
  console.log(`${rinfo.address}:${rinfo.port}: ${JSON.stringify(message.subarray(0, 64).toString())}`)
})
socket.bind(port, host, () => {
  console.log(`listening on ${socket.address().address}:${socket.address().port}`)
})
//weave:end
socket.on('error', (err) => {
  console.error(`client: ${err.message}`)
  process.exitCode = 1
  socket.close()
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}
