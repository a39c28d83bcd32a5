// Connections shows how to count connections, and to limit them.
//
//	node tcp_server/connections/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, max } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  max: { type: 'string', default: '0' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  server.getConnections((_, open) => console.log(`${peer} connected, ${open} open`))
  socket.resume()
  socket.on('close', () => server.getConnections((_, open) => console.log(`${peer} closed, ${open} open`)))
  socket.on('error', (err) => console.error(`connections: ${err.message}`)) // unheard, it would end the process
})
if (+max > 0) server.maxConnections = +max
server.on('drop', (dropped) => { // Node 18.6; before it they vanished without a word
  const peer = at(dropped.remoteAddress, dropped.remotePort)
  server.getConnections((_, open) => console.log(`${peer} dropped, ${open} open`))
})
server.on('error', (err) => {
  console.error(`connections: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
