// Close_event tells how each connection ended: with the client's FIN, or with an
// error.
//
//	node tcp_server/close_event/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(watch)
server.on('error', (err) => {
  console.error(`close_event: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function watch (socket) {
  // Asked later, a socket that is gone has no address any more.
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  // hadError tells that there was an error, and not which. The event that tells
  // comes first, and without a listener for it the process would end.
  let cause
  socket.on('error', (err) => { cause = err.message })
  socket.on('close', (hadError) => {
    console.log(hadError ? `${peer} closed with error: ${cause}` : `${peer} closed`)
  })
  socket.resume() // the end stands behind the data: read, and throw it away
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
