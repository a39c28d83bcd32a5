// Close shows how a server closes: no new connections, and the end after the
// last has left.
//
//	node tcp_server/close/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  socket.pipe(socket)
  socket.on('error', (err) => console.error(`close: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`close: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => console.log('closed')) // called once the last connection has gone
    server.getConnections((_, open) => console.log(`no longer listening, ${open} open`))
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
