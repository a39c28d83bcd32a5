// Close_event shows how a connection ends: with a FIN, or with an error.
//
//	node tcp_server/close_event/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  let cause
  socket.on('error', (err) => { cause = err.message })
  socket.on('close', (hadError) => console.log(hadError ? `${peer} closed with error: ${cause}` : `${peer} closed`))
  socket.resume() // who does not read does not learn of the end
})
server.on('error', (err) => {
  console.error(`close_event: ${err.message}`)
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
