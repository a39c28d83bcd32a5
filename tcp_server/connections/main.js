// Connections counts the clients that are connected. Over --max of them, it
// drops whoever comes.
//
//	node tcp_server/connections/main.js --max 1
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, max } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  max: { type: 'string', default: '0' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:counting
// Node counts for you. It asks a cluster's workers too, hence the callback.
const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  server.getConnections((_, open) => console.log(`${peer} connected, ${open} open`))
  socket.resume() // data that nobody reads would hold up 'end', and with it 'close'
  socket.on('close', () => server.getConnections((_, open) => console.log(`${peer} closed, ${open} open`)))
  socket.on('error', (err) => console.error(`connections: ${err.message}`)) // with no listener it would end the process
})
if (Number(max) > 0) server.maxConnections = Number(max) // 0 is no limit in Node 20; since Node 21 it lets nobody in
server.on('drop', ({ remoteAddress, remotePort }) => { // not a socket: that is closed already
  const peer = at(remoteAddress, remotePort)
  server.getConnections((_, open) => console.log(`${peer} dropped, ${open} open`))
})
//weave:end
server.on('error', (err) => {
  console.error(`connections: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address().address, server.address().port)))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (address, port) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
